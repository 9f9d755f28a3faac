// Package docs holds only tests: that the pages lead somewhere, and that the
// examples of deployment are what they say.
//
// The commands that stand in the pages are executed by server/cli.
package docs
