# Counts the rows of a bundle with Perl: read.pl BUNDLE
# Prints one log a line, sorted: source, file, rows, and the sum of the rows' "id".
use strict;
use warnings;
use IO::Uncompress::Gunzip qw($GunzipError);
use JSON::PP;

# As everybody opens it: without MultiStream, which is off unless asked for.
my $bundle = IO::Uncompress::Gunzip->new($ARGV[0]) or die "cannot open: $GunzipError";
my $json = JSON::PP->new->utf8->allow_nonref;
my $manifest = $json->decode(scalar $bundle->getline);
die "the first line is no manifest" unless $manifest->{type} eq "manifest";
my (%rows, %ids);
while (defined(my $line = $bundle->getline)) {
    my $row = $json->decode($line);
    my $name = $row->{source} . "\t" . ($row->{file} // "$row->{source}.jsonl");
    $rows{$name}++;
    $ids{$name} += ref $row->{entry} eq "HASH" ? $row->{entry}{id} // 0 : 0;
}
die "cannot read: $GunzipError" unless $bundle->eof;
print "$_\t$rows{$_}\t$ids{$_}\n" for sort keys %rows;
