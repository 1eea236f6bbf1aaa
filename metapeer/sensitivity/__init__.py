"""What would change our mind? A fit or a table of effects comes in; influence, bias and choices laid open leave."""
