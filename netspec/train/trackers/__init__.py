"""Callbacks that hand a run's figures to other people's tools. Each needs its library, and none of them reaches a network unasked."""
