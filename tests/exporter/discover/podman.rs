//! Discovery on a machine with containers of podman: in namespaces of their own, with an engine, its network and its published ports.

use std::collections::BTreeSet;
use std::fs;

use upkeep_exporter::config::parse;

use super::namespaces::{command_line, number, run_in, services};
use super::targets;
use crate::common::podman::{cgroup, command, import_image, remove_cgroups};

/// Passes connections to an engine on, but only after 2 s: an engine on a busy machine. Arguments: its socket, that of the engine.
const SLOW: &str = r#"
import asyncio, sys
async def copy(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
async def main():
    async def serve(reader, writer):
        await asyncio.sleep(2)
        theirs, ours = await asyncio.open_unix_connection(sys.argv[2])
        await asyncio.gather(copy(reader, ours), copy(theirs, writer))
    await asyncio.start_unix_server(serve, sys.argv[1])
    await asyncio.sleep(1000)
asyncio.run(main())
"#;

const SCRIPT: &str = r#"
podman() { PODMAN "$@"; }
run() {
    name=$1; shift
    podman run --detach --name $name --cgroup-parent=CGROUP --ulimit nofile=20000:20000 --ulimit nproc=4096:4096 "$@" >/dev/null
}
finish() { podman rm --force --all --time=0 >/dev/null 2>&1 || :; }
trap finish EXIT
mkdir -p /run/podman
run shop -p 8080:80 upkeep-test /bin/sh -c 'echo shop >/index.html; exec /bin/httpd -f -p 80 -h /'
run worker --network=none upkeep-test /bin/sh -c 'sleep 1000'
run nightly --network=none --rm upkeep-test /bin/sh -c 'sleep 1000'
podman system service --time=0 unix:///run/podman/podman.sock &
wait_for [ -S /run/podman/podman.sock ]
wait_for curl -sf http://127.0.0.1:8080/ -o page

discovers() { "$1" discover >found.yml && grep -q '"http://127.0.0.1:8080/"' found.yml; }
wait_for discovers "$1"
again() { "$1" discover >again.yml && cmp -s found.yml again.yml; }
wait_for again "$1"
"$1" check-config found.yml >/dev/null
healthy() { "$1" check -o csv "$2" >checked; }
wait_for healthy "$1" --config.file=found.yml
wait_for healthy "$1" --path.procfs=/proc

begin=$(now)
"$1" --control.socket= 2>log & exporter=$!
wait_for shows shop
echo took $(($(now) - begin))
up() { curl -sf -m 5 http://127.0.0.1:10100/metrics | grep "^upkeep_service_up{.*\"$1\".* 1\$" >/dev/null; }
for key in shop worker web.py; do wait_for up $key; done
wait_for shows worker
cat status; echo
kill $exporter; wait $exporter || :

# An engine that responds late: the rest is shown before, then the containers are added.
mv /run/podman/podman.sock /run/engine.sock
/usr/bin/python3 slow.py /run/slow.sock /run/engine.sock &
wait_for [ -S /run/slow.sock ]
DOCKER_HOST=unix:///run/slow.sock "$1" --control.socket= 2>log & exporter=$!
tries=0
until shows shop; do
    tries=$((tries + 1)); [ $tries -lt 200 ] || { cat log >&2; exit 1; }
    [ ! -s status ] || { cat status; echo; }
    sleep 0.3
done
cat status; echo
kill $exporter
"#;

#[test]
fn a_machine_with_podman_containers_shows_them_at_the_first_start() {
    let dir = tempfile::tempdir().unwrap();
    import_image(dir.path());
    fs::write(dir.path().join("slow.py"), SLOW).unwrap();
    let podman = command(dir.path());
    let script = SCRIPT
        .replace("PODMAN", &command_line(&podman))
        .replace("CGROUP", &cgroup(dir.path()));
    let said = run_in(dir.path(), &[("web.py", "http", "8001-8001")], &script);
    remove_cgroups(dir.path());

    let found = fs::read_to_string(dir.path().join("found.yml")).unwrap();
    let config = parse(&found, "found").unwrap().config;
    assert_eq!(
        targets(&config, "shop"),
        ["shop", "tcp *:8080", "http://127.0.0.1:8080/"],
        "{found}"
    );
    assert_eq!(targets(&config, "worker"), ["worker"], "{found}");
    let keys: Vec<&str> = config
        .services
        .iter()
        .map(|service| service.key.as_str())
        .collect();
    // podman's own programs are no services, and a container that is removed at its end is a job.
    assert_eq!(keys, ["machine", "shop", "web.py", "worker"], "{found}");
    assert!(
        found.contains("look like jobs are left out") && found.contains(": nightly"),
        "{found}"
    );

    println!(
        "containers were shown {} ms after the start",
        number(&said, "took")
    );
    let mut documents = said.lines().filter(|line| line.starts_with('{'));
    let first = services(documents.next().unwrap());
    for (key, group) in [("shop", "applications"), ("worker", "workers")] {
        assert_eq!(first[key]["group"], group, "{first:?}");
    }
    added_late(&first.into_keys().collect(), documents);
}

/// With the slow engine, services are only added, until there are as many as with the other one.
fn added_late<'d>(all: &BTreeSet<String>, documents: impl Iterator<Item = &'d str>) {
    let seen: Vec<BTreeSet<String>> = documents
        .map(|document| services(document).into_keys().collect())
        .collect();
    let (first, last) = (seen.first().unwrap(), seen.last().unwrap());
    assert!(first.contains("machine") && !first.contains("shop"), "{seen:?}");
    assert_eq!(last, all, "{seen:?}");
    // Also not the port of the container under the name of its proxy, conmon.
    assert!(
        seen.windows(2).all(|pair| pair[0].is_subset(&pair[1])),
        "{seen:?}"
    );
}
