//! Advice for problems: a few sentences on what to check first. The runbooks have the details.

mod document;
mod limit;
mod shortage;
mod time;

use crate::model::{CheckKind, Problem, Reason};

pub use document::markdown;

/// The advice for a service or check whose status is unknown without a problem.
pub const UNKNOWN: &str = "There is no recent result. If this lasts longer than a minute after a start, read the exporter's log (`journalctl \
 -u upkeep_exporter`) and check upkeep_check_missed_runs_total.";

/// The advice for a problem of a check of this kind. The problem may be a shortage of the exporter itself.
pub fn advice_on(kind: CheckKind, problem: &Problem) -> &'static str {
    match problem.shortage {
        Some(shortage) => shortage::advice(shortage),
        None => advice(kind, problem.reason),
    }
}

/// The advice for a reason in a check of this kind.
pub const fn advice(kind: CheckKind, reason: Reason) -> &'static str {
    match reason {
        Reason::Dns => {
            "The name can't be resolved. Run `getent hosts NAME` on the exporter's machine, and check its resolver \
             and the spelling of the name."
        }
        Reason::Refused => refused(kind),
        Reason::Unreachable => unreachable(kind),
        Reason::Timeout => time::timeout(kind),
        Reason::Tls => {
            "Check the names, dates and issuer of the certificate (`openssl s_client -connect HOST:PORT -servername \
             HOST`). Renew it, or set its CA in tls_config."
        }
        Reason::Closed => closed(kind),
        Reason::Protocol => protocol(kind),
        Reason::Auth => auth(kind),
        Reason::Status => status(kind),
        Reason::Assertion => assertion(kind),
        Reason::State => state(kind),
        Reason::Missing => missing(kind),
        Reason::Limit => limit::advice(kind),
        Reason::Slow => time::slow(kind),
        Reason::Permission => permission(kind),
        Reason::Internal => {
            "The exporter itself failed in this check. Its log has the details (`journalctl -u upkeep_exporter`); \
             please report them."
        }
    }
}

const fn refused(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Docker => {
            "The socket of the container engine exists, but nothing listens on it. Start the engine: `systemctl \
             start docker`, or `systemctl start podman.socket`."
        }
        _ => {
            "Nothing listens at this address. Check that the service runs (`systemctl status UNIT`, `ss -ltn`) and \
             that host and port are correct. If it has stopped, its log says why."
        }
    }
}

const fn closed(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Exec => {
            "The program crashed, or somebody killed it. Look for it in the log of the kernel (`journalctl -k`), \
             which kills programs when memory is short."
        }
        _ => {
            "The server accepted the connection and closed it. Check its log (`journalctl -u UNIT`) for a crash, a \
             connection limit or a proxy error."
        }
    }
}

const fn protocol(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Node => {
            "A file does not follow its format or is not supported; the message names it. Restore it, create the \
             lock file again (`npm install --package-lock-only`), or set lockfile: none."
        }
        CheckKind::Python => {
            "A file does not follow its format; the message names the file and the line. Correct it, or create the \
             lock again (`uv lock`, `poetry lock`)."
        }
        CheckKind::Exec => {
            "The output or the exit status does not follow the format of the check; the message shows it. Run the \
             program by hand (`runuser -u upkeep_exporter -- PROGRAM`), or set another format."
        }
        _ => {
            "The response does not follow the expected protocol. Check what listens at this address (`ss -ltnp`), \
             and whether it expects TLS (`curl -v URL`)."
        }
    }
}

const fn assertion(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Python | CheckKind::Node => {
            "Other versions are installed than the files require. Run the command of the finding (`upkeep_exporter \
             check SERVICE` shows it), and restart the service that uses the environment."
        }
        _ => {
            "The response does not match the assertions of the check. Compare them (`upkeep_exporter check --debug \
             SERVICE` shows each step), and check what was deployed last."
        }
    }
}

const fn unreachable(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Python | CheckKind::Node => {
            "A file or directory can't be read; the message names it. Check its symbolic links (`namei -l PATH`) \
             and its file system (`dmesg`)."
        }
        CheckKind::Systemd => {
            "The exporter can't reach systemd over D-Bus. Check that the system bus runs (`systemctl status dbus`), \
             and that the exporter can see its socket."
        }
        CheckKind::Process => {
            "The exporter can't read /proc. Check that it is mounted (`mount -t proc`), and check --path.procfs."
        }
        CheckKind::Host => {
            "A value of the machine or a file system can't be read; the message names it. Check `dmesg`, `findmnt`, and \
             --path.procfs."
        }
        CheckKind::Docker => {
            "The socket of the container engine does not exist. Start the engine (`systemctl start docker`), or set \
             the check's host to its socket."
        }
        CheckKind::Port => {
            "The exporter can't list the sockets of its machine. Allow AF_NETLINK in its unit \
             (RestrictAddressFamilies= in `systemctl edit upkeep_exporter`), or check that /proc is mounted \
             (--path.procfs)."
        }
        _ => {
            "The host can't be reached. Check that the machine is on, and check its network, routes (`ip route get \
             ADDRESS`) and firewalls."
        }
    }
}

const fn auth(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Heartbeat => {
            "The token can't be read, or another check has the same one; the message says which. Create a token \
             (`openssl rand -hex 16`), write it to its file, and allow the exporter to read it (`ls -l FILE`)."
        }
        CheckKind::Postgres => {
            "The login was rejected, or the secret can't be read. Try `psql URL`. Check user, password and \
             pg_hba.conf, and that the exporter may read the secret file."
        }
        CheckKind::S3 => {
            "The keys were rejected or can't be read. Check access key, secret key and policy, and that both clocks \
             are right (`timedatectl`)."
        }
        CheckKind::Provider => {
            "The provider rejects the API key, or the key can't be read. Create a key in the provider's console and \
             write it to its file. The next run reads it (`upkeep_exporter check SERVICE`)."
        }
        _ => {
            "Credentials are missing, unreadable or rejected, or no token was granted (oauth2; the message names the \
             server). Check the user and the secret, and the log of the server. If the secret is in a file, check that the exporter may read it (`ls -l FILE`)."
        }
    }
}

const fn status(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Heartbeat => {
            "The job reported a failure. The page of the service shows what it sent. Read its log (`journalctl -u UNIT`), \
             fix the cause, and start it again: only a success ends this."
        }
        CheckKind::Provider => {
            "The provider reports an error. 5xx and 529 are an outage: check its status page. 4xx and redirects \
             usually mean a wrong base_url (`curl -i URL`)."
        }
        CheckKind::Exec => {
            "The program reports a problem; the message is its own. Run it by hand as the exporter's user (`runuser \
             -u upkeep_exporter -- PROGRAM`), and see its documentation."
        }
        _ => {
            "Request the URL with `curl -i URL`, and check the log of the service. 5xx is an error of the server, \
             4xx usually a wrong path or missing credentials."
        }
    }
}

const fn state(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Systemd => {
            "Find out why the unit is not running: `systemctl status UNIT`, then `journalctl -u UNIT`. Fix the \
             cause, then run `systemctl restart UNIT`."
        }
        CheckKind::Docker => {
            "Find out why the container is not running or not healthy: `docker ps -a`, `docker logs NAME`, `docker \
             inspect NAME`. Then run `docker start NAME`."
        }
        CheckKind::Port => {
            "Another program holds the port, or the port must be free but is held. The message names the program. \
             Stop it (`ss -ltnp` shows it), or use the next free port."
        }
        CheckKind::Redis => {
            "The server does not have the expected role or state. Check `redis-cli INFO replication` and `redis-cli \
             INFO persistence`."
        }
        CheckKind::Postgres => {
            "The server does not have the expected role or state. Check `psql -c 'SELECT pg_is_in_recovery()'` and \
             the log of the server."
        }
        CheckKind::Host => {
            "Nothing is mounted at this directory. Mount it (`mount MOUNT`, `findmnt --verify`), or correct mount in \
             the check."
        }
        CheckKind::Exec => {
            "This file is not a program. Check it (`head -c 64 PROGRAM`): a script needs a first line such as #!/bin/sh."
        }
        _ => {
            "It runs, but does not have the expected state. Check its log and status (`systemctl status UNIT`)."
        }
    }
}

const fn missing(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Python | CheckKind::Node => {
            "Packages, a file or the environment are missing. Run the command of the finding (`upkeep_exporter \
             check SERVICE` shows it), or correct the paths of the check."
        }
        CheckKind::Systemd => {
            "The unit is not installed. Check its name (`systemctl list-unit-files`), install it, or run `systemctl \
             daemon-reload`."
        }
        CheckKind::Process => {
            "Fewer processes match than expected. Start the service, or compare the check's match with `ps -ef`."
        }
        CheckKind::Port => {
            "Nothing holds the port, or the user in the check does not exist. Start the service, and compare the \
             port with its configuration (`ss -ltn`)."
        }
        CheckKind::S3 => {
            "The bucket does not exist. Create it in the store, or check its name in the configuration \
         (`upkeep_exporter check-config FILE`)."
        }
        CheckKind::Rabbitmq => {
            "A queue or virtual host does not exist (`rabbitmqctl list_queues -p VHOST`). Start the program that \
             declares it, or check its name in the configuration."
        }
        CheckKind::Celery => {
            "Fewer workers respond than expected. Start them (`systemctl start UNIT`). Their logs say why they \
             stopped."
        }
        CheckKind::Docker => "The container does not exist. Create it, or check the name (`docker ps -a`).",
        CheckKind::Postgres => {
            "The database or the role does not exist (`psql -l`). Create it, or check its name in the configuration."
        }
        CheckKind::Provider => {
            "The provider does not offer an expected model. Find its successor on the page /models, then change the \
             service and expected_models."
        }
        CheckKind::Exec => {
            "The program or its user does not exist. Install it (`ls -l PROGRAM`), or correct command or user of the \
             check."
        }
        _ => {
            "The target does not have what the check looks for. Create it, or check its name in the configuration \
             (`upkeep_exporter check-config FILE`)."
        }
    }
}

const fn permission(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Python | CheckKind::Node => {
            "The exporter may not read a file of the environment or the project. Add its user to the group of the \
             files, and check ProtectHome= of its unit."
        }
        CheckKind::Docker => {
            "The exporter may not use the socket of the engine. Add its user to the group of the socket \
             (SupplementaryGroups=docker in `systemctl edit upkeep_exporter`)."
        }
        CheckKind::Process => {
            "The exporter may not read these processes. Check how /proc is mounted (hidepid in `mount -t proc`), or \
             give the exporter CAP_SYS_PTRACE."
        }
        CheckKind::Port => {
            "The exporter may not read which process holds the port. Run `deploy/install.sh --process-details` for \
             CAP_SYS_PTRACE, or check only unit and user."
        }
        CheckKind::Systemd => {
            "The exporter may not query systemd. Check the D-Bus policy and the sandboxing of its unit (`systemctl \
             cat upkeep_exporter`)."
        }
        CheckKind::Provider => {
            "The provider accepts the key, but does not allow it to list models. Check its scopes, project, \
             organization, allowed addresses and countries. Then try again: `upkeep_exporter check SERVICE`."
        }
        CheckKind::Exec => {
            "The exporter may not run the program, or others could replace it; the message names the file. Correct \
             owner and mode (`namei -l PROGRAM`), and NoNewPrivileges= and ProtectHome= of its unit."
        }
        _ => {
            "The operating system denies this operation. Check the user, capabilities and sandboxing of the \
             exporter (`systemctl cat upkeep_exporter`)."
        }
    }
}

#[cfg(test)]
mod tests;
