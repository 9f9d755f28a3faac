// Package browser drives the dashboard in a real browser: it clicks and types as
// people do, looks at what they see, and takes the pictures in docs/dashboard.
package browser
