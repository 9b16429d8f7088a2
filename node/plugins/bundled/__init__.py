"""Those of Kong's bundled plugins that run here, a module each."""
