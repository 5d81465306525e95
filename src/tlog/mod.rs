//! The transparency log of RFC 6962 in C2SP formats: tree, proofs, signed notes. Pure.
