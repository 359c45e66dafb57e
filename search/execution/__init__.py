"""How runs are trained somewhere: slots, jobs, checkpoints, display; nothing here knows of reports."""
