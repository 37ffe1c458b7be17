"""What records tell beyond their events: the life of one object, where two runs part.  Facts; `report/` words them."""
