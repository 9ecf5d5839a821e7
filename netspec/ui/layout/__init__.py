"""Where the parts of a picture stand: blocks of layers, the places of boxes, the ways of arrows."""
