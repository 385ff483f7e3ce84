//! SikkerKey secrets as a layer of figment and Rocket configuration.
