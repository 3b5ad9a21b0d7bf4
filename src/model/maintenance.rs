//! The maintenance of a service.

/// The maintenance window that holds for a service. Of several, the one that ends last. Times are Unix times in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Maintenance {
    /// The id of a window that a command started, or the name of one in the configuration.
    pub id: String,
    /// When the window started.
    pub started: f64,
    /// When it ends.
    pub ends: f64,
    /// Why; empty if unknown.
    pub reason: String,
    /// The user who started it. `None` for a window of the configuration.
    pub by: Option<String>,
}
