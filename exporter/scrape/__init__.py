"""Who is asked, when and how: discovery of targets, the poll of one, and their timetable."""
