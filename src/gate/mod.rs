//! Holds: statements that wait in flight for a person.
