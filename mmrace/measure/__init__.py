"""The table of the series: one load under a machine's own pace, era by era, counted from records.

What it asks is whether the order of the eras comes out, not how long anything took: a tick is no second.
"""
