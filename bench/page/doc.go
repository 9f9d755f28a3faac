// Package page makes a page of what package compare measured: tables in
// Markdown, and plots as SVG.
//
//	tables  a table for each part of each report
//	plots   lines and bars; which report they are of stands in the tables
package page
