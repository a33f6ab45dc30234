//! Helpers for whole-server tests.
