use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
struct Config {
    #[sikkerkey(default = "127.0.0.1")]
    address: std::net::Ipv4Addr,
}

fn main() {}
