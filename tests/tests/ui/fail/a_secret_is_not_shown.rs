use sikkerkey::SecretString;

fn main() {
    let secret = SecretString::from("hunter2");
    println!("{secret}");
}
