"""Words used everywhere: source spans, diagnostics, shapes, and the contracts of what a catalogue holds. Imports nothing of netspec."""
