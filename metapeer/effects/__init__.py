"""Arms in, effect sizes (yi, vi) out. The mathematics takes arrays; `table` is the door for tables."""
