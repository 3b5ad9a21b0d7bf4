//! The HTTP servers of all listeners.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::admission_layer::AdmissionLayer;
use super::server::serve_behind;
use super::socket::Listener;
use super::state::State;
use super::watched_config::WebConfig;

/// The HTTP servers, one per listener.
#[derive(Debug)]
pub struct Servers {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Servers {
    /// Serves on these listeners, with shared limits.
    pub fn start(listeners: Vec<Listener>, config: &Arc<WebConfig>, state: &Arc<State>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let admission_layer = AdmissionLayer::with_listeners(Arc::clone(config), listeners.len());
        for listener in listeners {
            let mut stopped = stopped.clone();
            let stopped = async move { drop(stopped.wait_for(|stop| *stop).await) };
            tasks.spawn(serve_behind(
                Arc::clone(&admission_layer),
                listener,
                Arc::clone(state),
                stopped,
            ));
        }
        Self { stop, tasks }
    }

    /// Lets requests in progress complete, and accepts no more.
    pub fn stop_accepting(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until all responses are complete.
    pub async fn join(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}
