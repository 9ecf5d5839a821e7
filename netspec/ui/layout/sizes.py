"""Distances in pictures, in pixels."""

ARM, ENTRY, ENTRIES = 20, 14, 70  # from a box's outer side to its arrow, from there to a merge's others, all of these at most
LABEL, STEP = 21, 17  # below a box for its label, from there to the next box
TRACK, LANE = 8, 9  # between lines side by side
GROUP, FRAME, HEADER, LINE, FOOT = 5, 8, 14, 15, 9  # rims of groups and frames, above a frame's label and each line of it, below its boxes
GAP, APART = 22, 20  # between both passes, between branches
GUTTER, TURN = 34, 24  # between pages, above and below them


def spacing(entries: int) -> float:
    """Between the arrows that enter a merge."""
    return min(ENTRY, ENTRIES / (entries - 1)) if entries > 1 else 0.0
