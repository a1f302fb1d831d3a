"""What users ask for: one module or package a verb. Operations never import each other; what several need stands in
``session`` (an open repository) and ``jobs`` (job files and their history)."""
