"""The read side of the engine: what pages, timelines, commands and metrics read of the journal.

``attempts`` has the one view of an attempt, ``runs`` a subject's runs with their plans, ``subjects``
the questions that lists ask about many subjects, and ``counts`` what can be counted.
"""
