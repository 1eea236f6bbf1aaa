"""Effect sizes (yi, vi) in, frozen results out. The doors for tables are `models` and `subgroups`."""
