"""What operators learn: one seam for decisions; metrics, log, audit and Events behind it."""
