//! Which records of two sources are the same thing? Sightings, exact joins, names used.
