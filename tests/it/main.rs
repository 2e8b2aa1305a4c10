//! The integration tests, one binary: each module is an area, its tests are sentences.

mod formats;
