"""Everything that a spec chooses by name: one folder a catalogue, one file a member."""
