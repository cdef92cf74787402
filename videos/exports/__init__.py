"""How a site is written into a folder or an object store, from which another one can import it."""
