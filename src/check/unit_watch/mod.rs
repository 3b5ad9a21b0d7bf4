//! The systemd units that checks watch. All checks of a bus share one connection, which receives changes by D-Bus signals
//! instead of polling.

mod calls;
mod hub;
mod session;
mod table;
mod unit;
mod watch;

pub use self::hub::Hub;
pub(super) use self::hub::{Subscription, UnitFacts};
pub(super) use self::session::CALL_TIMEOUT;
#[cfg(test)]
pub(super) use self::unit::Properties;
pub(super) use self::unit::{Service, Starting, Unit};
