"""An exploration: many schedules of one program, drawn or walked; classes counted, findings replayed."""
