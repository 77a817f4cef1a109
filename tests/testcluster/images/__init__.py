"""Container images for real nodes, made from this computer's own files: no registry, no builder."""
