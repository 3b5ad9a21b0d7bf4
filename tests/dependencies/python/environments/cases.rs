//! The environments that pip judges.

/// One environment.
#[derive(Clone, Copy)]
pub struct Case {
    /// What is special about it.
    pub name: &'static str,
    /// The packages to install, without dependencies. `{dir}` is the project's directory, `{wheels}` that of the wheels.
    pub installed: &'static [&'static str],
    /// Files to write.
    pub files: &'static [(&'static str, &'static str)],
    /// Keys of the check in addition to its environment.
    pub keys: &'static str,
    /// What the check must find.
    pub expected: &'static [&'static str],
    /// The arguments of `pip install --dry-run`; empty if pip does not answer this question.
    pub pip: &'static str,
    /// Packages that only pip would install, and why: see docs/DEPENDENCIES.md.
    pub only_pip: &'static [&'static str],
    /// Packages that only the check would install.
    pub only_check: &'static [&'static str],
}

const FLASK: &[&str] = &[
    "flask==3.0.3",
    "werkzeug==3.0.3",
    "jinja2==3.1.4",
    "markupsafe==2.1.5",
    "itsdangerous==2.2.0",
    "click==8.1.7",
    "blinker==1.8.2",
];
const FILE: &str = ", requirements: [\"{dir}/requirements.txt\"]";
const WHOLE: &str = ", requirements: [\"{dir}/requirements.txt\"], transitive: true";
const PIP: &str = "-r {dir}/requirements.txt";

/// The environments.
pub const CASES: &[Case] = &[
    Case {
        name: "healthy",
        installed: FLASK,
        files: &[("requirements.txt", "Flask>=3,<4  # web\n")],
        keys: WHOLE,
        pip: PIP,
        ..EMPTY
    },
    Case {
        name: "a dependency of a dependency is missing",
        installed: &[
            "flask==3.0.3",
            "werkzeug==3.0.3",
            "jinja2==3.1.4",
            "itsdangerous==2.2.0",
            "click==8.1.7",
            "blinker==1.8.2",
        ],
        files: &[("requirements.txt", "flask\n")],
        keys: WHOLE,
        expected: &["missing markupsafe"],
        pip: PIP,
        ..EMPTY
    },
    Case {
        name: "another version",
        installed: &["six==1.16.0", "click==8.1.7"],
        files: &[("requirements.txt", "six==1.17.0\nclick~=8.1.0\n")],
        keys: FILE,
        expected: &["mismatched six"],
        pip: PIP,
        ..EMPTY
    },
    Case {
        name: "nothing is installed",
        files: &[("requirements.txt", "six\nclick\nidna!=3.6\n")],
        keys: FILE,
        expected: &["missing six", "missing click", "missing idna"],
        pip: PIP,
        ..EMPTY
    },
    Case {
        name: "included files and constraints",
        installed: &["idna==3.7", "python-dateutil==2.9.0.post0", "six==1.17.0"],
        files: &[
            (
                "requirements.txt",
                "-r sub/base.txt\n--constraint=c.txt\nPython_DateUtil\n",
            ),
            ("sub/base.txt", "-r ../more.txt\n"),
            ("more.txt", "idna>=3\n"),
            ("c.txt", "six<1.17\nclick<1\n"),
        ],
        keys: FILE,
        expected: &["mismatched six"],
        pip: PIP,
        ..EMPTY
    },
    Case {
        name: "extras",
        installed: &[
            "requests==2.32.3",
            "charset-normalizer==3.3.2",
            "idna==3.7",
            "urllib3==2.2.2",
            "certifi==2024.7.4",
        ],
        files: &[(
            "requirements.txt",
            "requests [Socks] >=2 ; python_version >= '3'\n",
        )],
        keys: FILE,
        expected: &["missing pysocks"],
        pip: PIP,
        ..EMPTY
    },
    Case {
        name: "markers",
        files: &[(
            "requirements.txt",
            "colorama; sys_platform == 'win32'\ntomli; python_version < '3.11' and implementation_name == 'cpython'\n\
             exceptiongroup; python_full_version >= '3.8.1'\nsix; platform_machine == 'pdp11' or os_name == 'posix'\n",
        )],
        keys: FILE,
        expected: &["missing exceptiongroup", "missing six"],
        pip: PIP,
        ..EMPTY
    },
    Case {
        name: "hashes and continuations",
        installed: &["six==1.17.0", "click==8.1.6"],
        files: &[(
            "requirements.txt",
            "six==1.17.0 \\\n    --hash=sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274\nclick==8.1.7 \\\n    \
             --hash=sha256:ae74fb96c20a0277a1d615f1e4d73c8414f5a98db8b799a7931d1582f3390c28  # via flask\n",
        )],
        keys: FILE,
        expected: &["mismatched click"],
        pip: PIP,
        ..EMPTY
    },
    Case {
        name: "options",
        installed: &["six==1.16.0"],
        files: &[(
            "requirements.txt",
            "--no-index\n--find-links={wheels}\n--pre\n--only-binary :all:\nsix\n",
        )],
        keys: FILE,
        pip: PIP,
        ..EMPTY
    },
    Case {
        name: "an editable project",
        installed: &["-e {dir}/lib", "six==1.17.0"],
        files: &[("requirements.txt", "-e ./lib\n")],
        keys: FILE,
        pip: PIP,
        // pip installs editable projects again at each call.
        only_pip: &["app"],
        ..EMPTY
    },
    Case {
        name: "an editable project that is installed as a copy",
        installed: &["{dir}/lib", "six==1.17.0"],
        files: &[("requirements.txt", "--editable {dir}/lib\n")],
        keys: FILE,
        expected: &["mismatched app"],
        pip: PIP,
        ..EMPTY
    },
    Case {
        name: "a directory",
        installed: &["{dir}/lib"],
        files: &[("requirements.txt", "./lib\n")],
        keys: WHOLE,
        expected: &["missing six"],
        pip: PIP,
        // pip installs directories again at each call, because it can't know whether they changed.
        only_pip: &["app"],
        ..EMPTY
    },
    Case {
        name: "a wheel",
        installed: &[
            "{wheels}/six-1.17.0-py2.py3-none-any.whl",
            "{wheels}/click-8.1.6-py3-none-any.whl",
        ],
        files: &[(
            "requirements.txt",
            "{wheels}/six-1.17.0-py2.py3-none-any.whl\nclick @ file://{wheels}/click-8.1.7-py3-none-any.whl\n",
        )],
        keys: FILE,
        expected: &["mismatched click"],
        pip: PIP,
        ..EMPTY
    },
    Case {
        name: "a wheel that an index gave",
        installed: &["six==1.17.0"],
        files: &[(
            "requirements.txt",
            "six @ file://{wheels}/six-1.17.0-py2.py3-none-any.whl\n",
        )],
        keys: FILE,
        expected: &["mismatched six"],
        pip: PIP,
        // pip compares only the version of a wheel.
        only_check: &["six"],
        ..EMPTY
    },
    Case {
        name: "a repository",
        installed: &["git+file://{dir}/git@v1", "six==1.17.0"],
        files: &[("requirements.txt", "app @ git+file://{dir}/git@v1\n")],
        keys: FILE,
        pip: PIP,
        ..EMPTY
    },
    Case {
        name: "another revision of a repository",
        installed: &["git+file://{dir}/git@v1", "six==1.17.0"],
        files: &[("requirements.txt", "git+file://{dir}/git@v2#egg=app\n")],
        keys: FILE,
        expected: &["mismatched app"],
        pip: PIP,
        ..EMPTY
    },
    Case {
        name: "arbitrary equality and parentheses",
        installed: &["packaging==24.1", "idna==3.6"],
        files: &[("requirements.txt", "packaging===24.1\nidna (>=3.7,<4)\n")],
        keys: FILE,
        expected: &["mismatched idna"],
        pip: PIP,
        ..EMPTY
    },
    Case {
        name: "a conflict between packages",
        installed: &["{dir}/lib", "six==1.16.0", "flask==3.0.3"],
        keys: ", transitive: true",
        expected: &[
            "mismatched six",
            "missing blinker",
            "missing click",
            "missing itsdangerous",
            "missing jinja2",
            "missing werkzeug",
        ],
        ..EMPTY
    },
    Case {
        name: "a project",
        installed: &["six==1.16.0", "click==8.1.7"],
        files: &[(
            "pyproject.toml",
            "[project]\nname = \"demo\"\nversion = \"1\"\ndependencies = [\"six>=1.17\", \"click\", \"idna; os_name == 'nt'\"]\n\
             [dependency-groups]\ntest = [\"iniconfig\", {include-group = \"lint\"}]\nlint = [\"attrs>=24\"]\n",
        )],
        keys: ", requirements: [\"{dir}/pyproject.toml\"], groups: [test]",
        expected: &["mismatched six", "missing iniconfig", "missing attrs"],
        pip: "six>=1.17 click --group {dir}/pyproject.toml:test",
        ..EMPTY
    },
    Case {
        name: "extra packages",
        installed: &[
            "flask==3.0.3",
            "werkzeug==3.0.3",
            "jinja2==3.1.4",
            "markupsafe==2.1.5",
            "itsdangerous==2.2.0",
            "click==8.1.7",
            "blinker==1.8.2",
            "zipp==3.19.2",
        ],
        files: &[("requirements.txt", "flask")],
        keys: ", requirements: [\"{dir}/requirements.txt\"], extra: true",
        expected: &["extra zipp"],
        pip: PIP,
        ..EMPTY
    },
];

const EMPTY: Case = Case {
    name: "",
    installed: &[],
    files: &[],
    keys: "",
    expected: &[],
    pip: "",
    only_pip: &[],
    only_check: &[],
};
