package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/store"
)

// quotaCommand is `bugle quota`.
type quotaCommand struct {
	Set  quotaSetCommand  `cmd:"" help:"Decide how much of the server an organization may use."`
	List quotaListCommand `cmd:"" help:"List what is decided about organizations, and what they use."`
}

type quotaSetCommand struct {
	database
	Organization int64    `help:"Id of the organization, from bugle quota list; the first one unless set."`
	Quota        []string `arg:"" help:"Quotas, such as webhooks=100, automations=50, events=600 (a minute), backlog=100000 (pending deliveries) or storage=2GiB (of files). none is no limit, default what bugle serve --quota says."`
}

// Help follows the one line that describes the command.
func (*quotaSetCommand) Help() string {
	return `Servers that run follow within ten seconds. What is not named stays as it is.

  bugle quota set --organization 2 webhooks=20 events=600
  bugle quota set --organization 2 storage=none backlog=default`
}

// Validate reports what is wrong with the quotas.
func (c *quotaSetCommand) Validate() error {
	_, _, err := bugle.ParseQuotaChoice(c.Quota)
	return err
}

// Run decides, and prints what holds for the organization then.
func (c *quotaSetCommand) Run(ctx context.Context, out *output) error {
	changes, defaults, err := bugle.ParseQuotaChoice(c.Quota)
	if err != nil {
		return err
	}
	db, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	id, err := organizationOf(ctx, db, c.Organization)
	if err != nil {
		return err
	}
	choice := bugle.QuotaChoice{}
	err = db.Update(ctx, func(tx *store.Tx) error {
		all, err := tx.QuotaChoices()
		if err != nil {
			return err
		}
		maps.Copy(choice, all[id])
		maps.Copy(choice, changes)
		for _, name := range defaults {
			delete(choice, name)
		}
		return tx.SetQuotas(id, choice)
	})
	if errors.Is(err, bugle.ErrNotFound) {
		return fmt.Errorf("--organization is %d: there is none with that id; see bugle quota list", id)
	}
	if err != nil {
		return err
	}
	for _, name := range bugle.QuotaNames {
		fmt.Fprintf(out.Stdout, "%s=%s\n", name, quotaText(choice, name))
	}
	return nil
}

// quotaText is what is decided about a quota, as the command takes it.
func quotaText(choice bugle.QuotaChoice, name string) string {
	limit, decided := choice[name]
	switch {
	case !decided:
		return "default"
	case limit == 0:
		return "none"
	}
	return strconv.FormatInt(limit, 10)
}

type quotaListCommand struct {
	database
}

// maxOrganizations bounds the list.
const maxOrganizations = 10000

// Run prints a table: what is used, a slash, and what is decided. Files are not in the database.
func (c *quotaListCommand) Run(ctx context.Context, out *output) error {
	db, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	organizations, err := db.Organizations(ctx, maxOrganizations)
	if err != nil {
		return err
	}
	choices, err := db.QuotaChoices(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tORGANIZATION\tWEBHOOKS\tAUTOMATIONS\tEVENTS A MINUTE\tBACKLOG\tSTORAGE")
	for _, o := range organizations {
		used, err := db.Usage(ctx, o.ID)
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "%d\t%s", o.ID, o.Name)
		for _, name := range bugle.QuotaNames {
			text := quotaText(choices[o.ID], name)
			if slices.Contains([]string{"webhooks", "automations", "backlog"}, name) {
				text = fmt.Sprintf("%d/%s", *used.Of(name), text)
			}
			fmt.Fprint(table, "\t"+text)
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}
