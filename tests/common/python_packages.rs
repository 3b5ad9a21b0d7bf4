//! An environment of Python with many packages, in the sizes of real ones, and a lock that has them. Nothing in it can be imported.

use std::fmt::Write;
use std::path::Path;

/// Requirements of a package.
const REQUIREMENTS: usize = 11;
/// Wheels of a package in the lock.
const WHEELS: usize = 12;

/// Writes `.venv` with this many packages, and `uv.lock`.
pub fn write(directory: &Path, packages: usize) {
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(".venv/pyvenv.cfg", "home = /usr/bin\nversion_info = 3.11.2\n");
    write(".venv/bin/python", "");
    let mut lock = "version = 1\nrequires-python = \">=3.9\"\n".to_owned();
    let mut root = "[[package]]\nname = \"app\"\nsource = { virtual = \".\" }\ndependencies = [\n".to_owned();
    for number in 0..packages {
        let site = ".venv/lib/python3.11/site-packages";
        let metadata = format!("{site}/package_{number}-1.{number}.0.dist-info/METADATA");
        write(&metadata, &metadata_of(number, packages));
        // Writing to a String can't fail.
        let _ = writeln!(
            root,
            "    {{ name = \"package-{number}\", marker = \"python_version >= '3.9'\" }},"
        );
        lock.push_str(&locked(number));
    }
    write("uv.lock", &format!("{lock}{root}]\n"));
}

fn metadata_of(number: usize, packages: usize) -> String {
    let mut metadata = format!("Metadata-Version: 2.3\nName: package-{number}\nVersion: 1.{number}.0\n");
    for next in 1..=REQUIREMENTS {
        let other = (number + next * 7) % packages;
        let _ = writeln!(
            metadata,
            "Requires-Dist: package-{other}<2,>=1.{other}; python_version >= \"3.8\" and extra != \"x{next}\""
        );
    }
    metadata + "\n" + &"A description of the package.\n".repeat(500)
}

fn locked(number: usize) -> String {
    let mut package = format!(
        "[[package]]\nname = \"package-{number}\"\nversion = \"1.{number}.0\"\n\
         source = {{ registry = \"https://index.test/simple\" }}\nwheels = [\n"
    );
    for wheel in 0..WHEELS {
        let _ = writeln!(
            package,
            "    {{ url = \"https://files.test/packages/00/11/2233445566778899aabbccddeeff/package_{number}-1.{number}.0-cp3\
             {wheel}-cp3{wheel}-manylinux_2_17_x86_64.whl\", hash = \"sha256:{number:064x}\", size = {wheel} }},"
        );
    }
    package + "]\n"
}
