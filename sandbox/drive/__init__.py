"""The drive: real orders through the public API, with everything going wrong, and the proof after."""
