"""What an editor asks about a text: explanations, completions, names. Offsets are code points; only server.py knows a protocol."""
