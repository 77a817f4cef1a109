"""What operators are told: one seam for decisions; metrics, log, audit and Events behind it."""
