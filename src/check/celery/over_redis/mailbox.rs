//! Celery's mailboxes as its Redis transport keeps them: how keys, channels and bindings are named. Pure.
//!
//! Exchanges are sets of bindings (`_kombu.binding.NAME`, each member the routing key, an unused pattern and the queue),
//! queues are lists, one a priority, and a fanout exchange is a channel.

use crate::config::celery::RedisKeys;

/// What bindings of this exporter begin with.
pub const PREFIX: &str = "upkeep-";

/// How old a binding of this exporter is when nobody can wait behind it any more, in seconds: no deadline is as long, and
/// clocks are closer together.
const ABANDONED: u64 = 6 * 3600;

/// The names of one check's mailbox.
#[derive(Clone, Debug)]
pub struct Mailbox {
    keys: RedisKeys,
    /// What names this check: its answers are routed by it and the time of the run.
    name: String,
    /// What its queue is called after that.
    suffix: String,
    /// The set of bindings of the exchange for answers.
    pub bindings: String,
}

impl Mailbox {
    /// The mailbox of the check with this name in this namespace.
    pub fn new(keys: &RedisKeys, namespace: &str, name: &str) -> Self {
        Self {
            keys: keys.clone(),
            name: name.to_owned(),
            suffix: format!(".reply.{namespace}.pidbox"),
            bindings: format!("{}_kombu.binding.reply.{namespace}.pidbox", keys.global),
        }
    }

    /// The lists of a queue: that of its name, and one for each further priority.
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

    /// The lists that answers come to; the same for all runs.
    pub fn answers(&self) -> Vec<String> {
        self.lists(&format!("{}{}", self.name, self.suffix))
    }

    /// The channel of a fanout exchange.
    pub fn channel(&self, exchange: &str) -> String {
        format!("{}{}{exchange}", self.keys.global, self.keys.fanout)
    }

    /// What answers to a run that began at this Unix time are routed by.
    pub fn routing_key(&self, now: u64) -> String {
        format!("{}.{now}", self.name)
    }

    /// The member of the set of bindings that leads answers with this routing key to the queue.
    pub fn binding(&self, routing_key: &str) -> String {
        let sep = &self.keys.sep;
        format!("{routing_key}{sep}{sep}{}{}", self.name, self.suffix)
    }

    /// The lists behind a binding of a check, of this exporter or another one, that ended within a run long ago.
    pub fn abandoned(&self, binding: &str, now: u64) -> Option<Vec<String>> {
        let mut parts = binding.split(self.keys.sep.as_str());
        let (routing_key, _, queue) = (parts.next()?, parts.next()?, parts.next()?);
        let (name, time) = routing_key.rsplit_once('.')?;
        let time: u64 = time.parse().ok()?;
        let is_ours = name.starts_with(PREFIX) && queue.strip_prefix(name) == Some(self.suffix.as_str());
        (is_ours && now.saturating_sub(time) >= ABANDONED).then(|| self.lists(queue))
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

    /// Keys and channels as `celery inspect ping` of Celery 5.2 used them.
    #[test]
    fn names_are_celery_s_own() {
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
        assert_eq!(prefixed.answers()[1], "shop:upkeep-x.reply.celery.pidbox:3");
    }

    #[test]
    fn only_bindings_of_ours_that_are_old_are_abandoned() {
        let mailbox = mailbox("", "\x06\x16");
        let begun = 1_000_000;
        let binding = mailbox.binding(&mailbox.routing_key(begun));
        assert_eq!(mailbox.abandoned(&binding, begun + ABANDONED - 1), None);
        // A clock that is behind abandons nothing.
        assert_eq!(mailbox.abandoned(&binding, 0), None);
        let lists = mailbox.abandoned(&binding, begun + ABANDONED).unwrap();
        assert_eq!(lists, mailbox.answers());
        for foreign in [
            "d5df\x06\x16\x06\x16d5df.reply.celery.pidbox",
            "upkeep-x.1\x06\x16\x06\x16celery",
            "upkeep-x.soon\x06\x16\x06\x16upkeep-x.reply.celery.pidbox",
            "other.1\x06\x16\x06\x16other.reply.celery.pidbox",
            "upkeep-x.1",
            "",
        ] {
            assert_eq!(mailbox.abandoned(foreign, u64::MAX), None, "{foreign}");
        }
    }
}
