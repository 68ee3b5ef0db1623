"""`jitwasm bench`: a module measured phase by phase, here and in other engines."""
