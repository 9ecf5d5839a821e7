"""Everything that a .net file may name: one folder a kind of thing, one file a thing, found by walking the folder."""
