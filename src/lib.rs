//! Portcullis: the map.

pub mod app;
pub mod cli;

pub mod proxy;

pub mod admin;
pub mod control;

pub mod metrics;

pub mod http1;

pub mod gate;

pub mod snapshot;

pub mod policy;
pub mod revocation;

pub mod keys;

pub mod config;

pub mod path;
pub mod token;
