//! Host names that do not identify a machine or its owner.

/// The domains of public services and documentation. Each includes its subdomains.
const PUBLIC: &str = "\
    anthropic.com apache.org archlinux.org arxiv.org bitbucket.org claude.ai claude.com cloudflare.com codeberg.org \
    crates.io debian.org deno.land deepseek.com dev.to docker.com docker.io docs.rs eslint.org esm.sh \
    fedoraproject.org freedesktop.org gcr.io ghcr.io git-scm.com github.com githubassets.com githubusercontent.com \
    gitlab.com gnu.org go.dev golang.org google.com gradle.org groq.com hackage.haskell.org hex.pm huggingface.co \
    iana.org ietf.org jsdelivr.net json-schema.org jsr.io kernel.org kubernetes.io letsencrypt.org maven.org \
    medium.com microsoft.com mistral.ai modelcontextprotocol.io mozilla.org nodejs.org npmjs.com npmjs.org nuget.org \
    openai.com openrouter.ai opensource.org openssh.com packagist.org pkg.go.dev playwright.dev pnpm.io prettier.io \
    pypi.org python.org pythonhosted.org quay.io react.dev readthedocs.io readthedocs.org rubygems.org rust-lang.org \
    rustsec.org rustup.rs schema.org shields.io spdx.org sqlite.org stackoverflow.com swagger.io typescriptlang.org \
    ubuntu.com unicode.org unpkg.com vitejs.dev w3.org whatwg.org wikipedia.org x.ai yarnpkg.com youtube.com";

/// The API hosts of public services. Their subdomains may belong to customers.
const PUBLIC_EXACT: &str = "\
    api.atlassian.com api.cloudflare.com api.figma.com api.linear.app api.notion.com api.sendgrid.com api.slack.com \
    api.stripe.com api.telegram.org api.twilio.com discord.com fonts.googleapis.com fonts.gstatic.com \
    generativelanguage.googleapis.com hooks.slack.com linear.app notion.so oauth2.googleapis.com pagerduty.com \
    sentry.io slack.com storage.googleapis.com stripe.com www.googleapis.com";

/// Names without a dot that are used for roles, not for machines.
const ROLES: &str = "\
    api app backend broadcasthost cache client db database domain elasticsearch frontend host hostname kafka \
    localhost mariadb memcached mongo mongodb mysql nats nginx postgres postgresql proxy rabbitmq redis registry s3 \
    server service upstream url web worker x";

/// Returns true if a host is a public service, a name for documentation, this machine, or a role.
pub fn is_public_host(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    if !host.contains('.') {
        return ROLES.split(' ').any(|role| role == host);
    }
    is_reserved_name(&host)
        || PUBLIC_EXACT.split(' ').any(|name| name == host)
        || PUBLIC.split(' ').any(|name| is_below(&host, name))
}

/// Returns true if a name is reserved for documentation and tests (RFC 2606, RFC 6761).
pub fn is_reserved_name(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let names = ["example.com", "example.net", "example.org"];
    let tops = ["example", "invalid", "localhost", "test"];
    names.iter().any(|name| is_below(&host, name)) || tops.iter().any(|top| is_below(&host, top))
}

fn is_below(host: &str, name: &str) -> bool {
    host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
