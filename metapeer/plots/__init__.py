"""Tables in, matplotlib Axes out. Nothing here knows a result, so a result can draw itself without a circle."""
