"""How files become videos that are already on a disk or elsewhere: folders, manifests, exports, addresses."""
