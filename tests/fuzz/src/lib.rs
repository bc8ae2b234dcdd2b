//! What the fuzz targets share.

pub mod providers;
pub mod readers;
