# What the desk uses of django-unfold, which has no types of its own: Django's classes, restyled.
