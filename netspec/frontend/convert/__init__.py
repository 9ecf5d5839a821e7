"""Nets of other libraries, read as text or JSON and never run or unpickled, to a .net text."""
