"""Payment providers behind one protocol. To add one, read ``protocol`` and ``registry``."""
