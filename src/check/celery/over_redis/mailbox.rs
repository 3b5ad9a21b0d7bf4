//! The names of keys, channels and bindings of Celery's mailboxes in its Redis transport. Pure.
//!
//! An exchange is a set of bindings (`_kombu.binding.NAME`; each member contains the routing key, an unused pattern and the
//! queue). A queue is a list for each priority. A fanout exchange is a channel.

use crate::config::celery::RedisKeys;

/// The prefix of this exporter's bindings.
pub const PREFIX: &str = "upkeep-";

/// Age in seconds after which no run can use a binding of this exporter any more. Deadlines, and differences between clocks,
/// are shorter.
const ABANDONED_AFTER: u64 = 6 * 3600;

/// The names of a check's mailbox.
#[derive(Clone, Debug)]
pub struct Mailbox {
    keys: RedisKeys,
    /// The check's unique name. The routing key of replies is this name and the time of the run.
    name: String,
    /// The queue's name is the check's name and this suffix.
    suffix: String,
    /// The key of the set of bindings of the exchange for replies.
    pub bindings: String,
}

impl Mailbox {
    /// The mailbox of a check in a namespace.
    pub fn new(keys: &RedisKeys, namespace: &str, name: &str) -> Self {
        Self {
            keys: keys.clone(),
            name: name.to_owned(),
            suffix: format!(".reply.{namespace}.pidbox"),
            bindings: format!("{}_kombu.binding.reply.{namespace}.pidbox", keys.global),
        }
    }

    /// The lists of a queue: one with its name, and one for each further priority.
    pub fn lists(&self, queue: &str) -> Vec<String> {
        let RedisKeys {
            global,
            sep,
            priority_steps,
            ..
        } = &self.keys;
        let steps = priority_steps.iter().filter(|step| **step != 0);
        let mut lists = vec![format!("{global}{queue}")];
        lists.extend(steps.map(|step| format!("{global}{queue}{sep}{step}")));
        lists
    }

    /// The lists that receive replies; the same for all runs.
    pub fn reply_lists(&self) -> Vec<String> {
        self.lists(&format!("{}{}", self.name, self.suffix))
    }

    /// The channel of a fanout exchange.
    pub fn channel(&self, exchange: &str) -> String {
        format!("{}{}{exchange}", self.keys.global, self.keys.fanout)
    }

    /// The routing key of replies to a run that started at this Unix time.
    pub fn routing_key(&self, now: u64) -> String {
        format!("{}.{now}", self.name)
    }

    /// The member of the set of bindings that routes replies with this key to the queue.
    pub fn binding(&self, routing_key: &str) -> String {
        let sep = &self.keys.sep;
        format!("{routing_key}{sep}{sep}{}{}", self.name, self.suffix)
    }

    /// The lists of a binding that a check left behind long ago, for example because its exporter was killed. `None` if the
    /// binding is not abandoned.
    pub fn abandoned_lists(&self, binding: &str, now: u64) -> Option<Vec<String>> {
        let mut parts = binding.split(self.keys.sep.as_str());
        let (routing_key, _, queue) = (parts.next()?, parts.next()?, parts.next()?);
        let (name, time) = routing_key.rsplit_once('.')?;
        let time: u64 = time.parse().ok()?;
        let is_ours = name.starts_with(PREFIX) && queue.strip_prefix(name) == Some(self.suffix.as_str());
        (is_ours && now.saturating_sub(time) >= ABANDONED_AFTER).then(|| self.lists(queue))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(global: &str, sep: &str) -> Mailbox {
        let keys = RedisKeys {
            global: global.to_owned(),
            fanout: "/1.".to_owned(),
            priority_steps: vec![0, 3, 6, 9],
            sep: sep.to_owned(),
        };
        Mailbox::new(&keys, "celery", "upkeep-x")
    }

    /// Keys and channels that `celery inspect ping` of Celery 5.2 used.
    #[test]
    fn names_match_those_of_celery() {
        let plain = mailbox("", "\x06\x16");
        assert_eq!(plain.channel("celery.pidbox"), "/1.celery.pidbox");
        assert_eq!(plain.bindings, "_kombu.binding.reply.celery.pidbox");
        assert_eq!(
            plain.binding("k"),
            "k\x06\x16\x06\x16upkeep-x.reply.celery.pidbox"
        );
        assert_eq!(
            plain.lists("celery"),
            ["celery", "celery\x06\x163", "celery\x06\x166", "celery\x06\x169"]
        );
        let prefixed = mailbox("shop:", ":");
        assert_eq!(prefixed.channel("celery.pidbox"), "shop:/1.celery.pidbox");
        assert_eq!(prefixed.bindings, "shop:_kombu.binding.reply.celery.pidbox");
        assert_eq!(prefixed.binding("k"), "k::upkeep-x.reply.celery.pidbox");
        assert_eq!(prefixed.reply_lists()[1], "shop:upkeep-x.reply.celery.pidbox:3");
    }

    #[test]
    fn only_old_bindings_of_the_exporter_are_abandoned() {
        let mailbox = mailbox("", "\x06\x16");
        let begun = 1_000_000;
        let binding = mailbox.binding(&mailbox.routing_key(begun));
        assert_eq!(
            mailbox.abandoned_lists(&binding, begun + ABANDONED_AFTER - 1),
            None
        );
        // With a clock that is behind, nothing is abandoned.
        assert_eq!(mailbox.abandoned_lists(&binding, 0), None);
        let lists = mailbox
            .abandoned_lists(&binding, begun + ABANDONED_AFTER)
            .unwrap();
        assert_eq!(lists, mailbox.reply_lists());
        for foreign in [
            "d5df\x06\x16\x06\x16d5df.reply.celery.pidbox",
            "upkeep-x.1\x06\x16\x06\x16celery",
            "upkeep-x.soon\x06\x16\x06\x16upkeep-x.reply.celery.pidbox",
            "other.1\x06\x16\x06\x16other.reply.celery.pidbox",
            "upkeep-x.1",
            "",
        ] {
            assert_eq!(mailbox.abandoned_lists(foreign, u64::MAX), None, "{foreign}");
        }
    }
}
